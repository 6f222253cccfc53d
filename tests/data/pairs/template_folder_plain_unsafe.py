import os


def load_template(directory, name):
    with open(os.path.join(directory, name + ".html")) as file:
        return file.read()
