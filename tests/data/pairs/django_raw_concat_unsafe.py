from django.http import JsonResponse

from shop.models import Product


def search(request):
    term = request.GET.get("term", "")
    found = Product.objects.raw("SELECT * FROM shop_product WHERE title LIKE '%" + term + "%'")
    return JsonResponse({"titles": [item.title for item in found]})
