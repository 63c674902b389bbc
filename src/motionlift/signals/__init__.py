"""Motion signals: pure tensor maths that knows no model and no method."""
