import re


def is_word_list(text):
    return re.match(r"^\w+(?:\s+\w+)*$", text) is not None
