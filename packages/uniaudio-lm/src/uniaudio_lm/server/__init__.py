"""The HTTP server: the OpenAI audio interface over worker processes that each hold a model.

`app` builds the FastAPI application, `pool` runs the workers, `worker` is what runs in one,
`tasks` is what a worker can do, `media` turns samples into bytes and back, `errors` gives every
refusal OpenAI's form. Other packages add routes by the entry-point group `uniaudio.routes`.
"""
