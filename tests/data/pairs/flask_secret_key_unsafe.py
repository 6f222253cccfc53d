from flask import Flask

app = Flask(__name__)
app.config["SECRET_KEY"] = "9f2c71b5e8a04d36bb17"
