import os
import sys


def main():
    os.system("grep -r " + sys.argv[1] + " .")


main()
