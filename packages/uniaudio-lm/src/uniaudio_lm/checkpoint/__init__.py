"""Reading, fitting, placing, quantising and writing the files of a model."""
