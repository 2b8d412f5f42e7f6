"""The data factory of the nano weights: collects and synthesises speech from package registries."""
