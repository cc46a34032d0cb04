"""A home page that is shown whatever fails: recommendations, search and playback, each somebody else's service.

`sagas` is the page, `services` the three it asks, `stories` what fails and what the viewer sees of it, `stage` the processes.
`python -m examples.streaming` tells the stories. The ride (`examples.ride`) uses the same stage.
"""
