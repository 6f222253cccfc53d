from flask import Flask, jsonify

app = Flask(__name__)


@app.route("/admin/coupons/<int:coupon>/void", methods=["POST"])
def void_coupon(coupon):
    db.execute("update coupons set valid = 0 where id = ?", (coupon,))
    db.commit()
    return jsonify(done=True)
