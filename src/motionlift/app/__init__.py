"""The web page: ``motionlift app``. Nothing here computes; it calls the rooms below."""
