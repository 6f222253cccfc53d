from flask import request


def create_member():
    member = Member(**request.get_json())
    db.session.add(member)
    return {"id": member.id}
