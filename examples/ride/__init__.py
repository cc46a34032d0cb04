"""A ride that is matched whatever fails around it: map, pricing and matching, each somebody else's service.

`sagas` is the ride, `services` the three it asks, `stories` what fails and what the rider sees of it; the stage is that of
`examples.streaming`. `python -m examples.ride` tells the stories.
"""
