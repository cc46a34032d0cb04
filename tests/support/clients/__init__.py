"""The real client libraries against the hostile server, and the page of the docs that is made from what is seen."""
