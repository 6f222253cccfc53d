import os
import zipfile


def unpack(archive_path, destination):
    with zipfile.ZipFile(archive_path) as archive:
        for member in archive.infolist():
            target = os.path.join(destination, member.filename)
            with open(target, "wb") as file:
                file.write(archive.read(member))
