import os


def backup(folder_name, label):
    os.system("tar czf /var/backups/" + label + ".tgz " + folder_name)
