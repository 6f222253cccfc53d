from django.http import JsonResponse
from django.views.decorators.http import require_POST


@require_POST
def transfer(request):
    move_money(request.user, request.POST["to"], int(request.POST["amount"]))
    return JsonResponse({"ok": True})
