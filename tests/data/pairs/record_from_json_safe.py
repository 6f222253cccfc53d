from flask import request


def create_member():
    given = request.get_json()
    member = Member(name=given["name"], mail=given["mail"])
    db.session.add(member)
    return {"id": member.id}
