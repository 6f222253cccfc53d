from django.http import HttpResponseRedirect


def leave(request):
    return HttpResponseRedirect(request.POST["back"])
