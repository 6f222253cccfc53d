import traceback


def broken_page():
    return "<html><body><pre>%s</pre></body></html>" % traceback.format_exc()
