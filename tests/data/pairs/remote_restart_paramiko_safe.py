SERVICES = ("web", "worker", "mail")


def restart(client, service):
    if service not in SERVICES:
        raise ValueError("unknown service")
    stdin, stdout, stderr = client.exec_command(f"systemctl restart {service}")
    return stdout.read().decode()
