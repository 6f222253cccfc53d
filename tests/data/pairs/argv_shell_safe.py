import subprocess
import sys


def main():
    subprocess.run(["grep", "-r", "--", sys.argv[1], "."], check=False)


main()
