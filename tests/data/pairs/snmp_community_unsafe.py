from pysnmp.hlapi import CommunityData, UdpTransportTarget

who = CommunityData("readers", mpModel=1)
where = UdpTransportTarget(("switch.example.net", 161))
