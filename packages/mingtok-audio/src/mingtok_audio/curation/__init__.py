"""Data curation (the paper's section 5.3): from recordings as they are found to training segments.

`interfaces` says what a stage is, `stages` holds the built-in ones, `pipeline` puts them in order,
`run` carries them out over many files, `manifest` keeps what they found, `presets` and
`expressions` choose from it, `export` and `report` hand it on.
"""
