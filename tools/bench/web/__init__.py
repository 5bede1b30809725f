"""How quickly pages answer: many people at once, beside a bare Django page in the same run.

`contest` measures any list of addresses beside any floor: a list of the API beside a bare view of it needs
its own visits and its own floor, nothing else.
"""
