from lab.metrics_page import PAGE, page


def test_the_page_says_what_the_metrics_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m lab.metrics_page"
