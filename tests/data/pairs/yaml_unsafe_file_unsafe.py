import yaml


def read_plan(path):
    with open(path) as file:
        return yaml.unsafe_load(file)
