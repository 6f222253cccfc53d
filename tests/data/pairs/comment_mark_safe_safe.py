from django.utils.html import format_html


def show_comment(text):
    return format_html("<p class='comment'>{}</p>", text)
