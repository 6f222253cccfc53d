import ast


def parse_setting(text):
    name, _, value = text.partition("=")
    return name.strip(), ast.literal_eval(value.strip())
