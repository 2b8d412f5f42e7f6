"""Recordings that are worked on over the server: words with times, plans, edits, history.

`store` keeps them (one folder each, private to a browser), `tasks` is what a worker process does
with them, `views` draws them as numbers, `exports` converts them, `routes` is the HTTP interface
`/v1/recordings`.
"""
