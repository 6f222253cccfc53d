def restart(client, service):
    stdin, stdout, stderr = client.exec_command(f"systemctl restart {service}")
    return stdout.read().decode()
