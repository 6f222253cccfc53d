from django.utils.safestring import mark_safe


def show_comment(text):
    return mark_safe("<p class='comment'>%s</p>" % text)
