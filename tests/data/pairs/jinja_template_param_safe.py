from jinja2 import Template


def render_mail(body, customer):
    return Template("Hello, {{ body }}").render(body=body, customer=customer)
