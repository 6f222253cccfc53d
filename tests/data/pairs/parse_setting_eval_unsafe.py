def parse_setting(text):
    name, _, value = text.partition("=")
    return name.strip(), eval(value)
