import os
import zipfile


def unpack(archive_path, destination):
    base = os.path.realpath(destination)
    with zipfile.ZipFile(archive_path) as archive:
        for member in archive.infolist():
            target = os.path.realpath(os.path.join(base, member.filename))
            if os.path.commonpath([base, target]) != base:
                raise ValueError("member leaves the folder")
            with open(target, "wb") as file:
                file.write(archive.read(member))
