import yaml


def read_plan(path):
    with open(path) as file:
        return yaml.safe_load(file)
