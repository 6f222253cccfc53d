import os

from pysnmp.hlapi import UdpTransportTarget, UsmUserData

who = UsmUserData("reader", os.environ["SNMP_AUTH"], os.environ["SNMP_PRIVACY"])
where = UdpTransportTarget(("switch.example.net", 161))
