"""Jobs with records: processes that take them, one line of a file for each that is done, and going on where it was stopped."""
