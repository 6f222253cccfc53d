def ask_age():
    return eval(input("How old are you? ")) + 1
