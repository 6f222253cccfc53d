import os
import shlex


def backup(folder_name, label):
    os.system("tar czf /var/backups/" + shlex.quote(label) + ".tgz " + shlex.quote(folder_name))
