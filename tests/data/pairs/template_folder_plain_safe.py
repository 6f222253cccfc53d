import os


def load_template(directory, name):
    if not name.isidentifier():
        raise ValueError("bad name")
    with open(os.path.join(directory, name + ".html")) as file:
        return file.read()
