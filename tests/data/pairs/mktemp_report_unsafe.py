import tempfile


def write_report(text):
    path = tempfile.mktemp(suffix=".txt")
    with open(path, "w") as file:
        file.write(text)
    return path
