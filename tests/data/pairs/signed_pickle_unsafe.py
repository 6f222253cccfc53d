import pickle


def load_job(message: bytes):
    return pickle.loads(message)
