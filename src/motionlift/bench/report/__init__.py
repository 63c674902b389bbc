"""From records to tables, charts and one page."""
