def ask_age():
    return int(input("How old are you? ")) + 1
