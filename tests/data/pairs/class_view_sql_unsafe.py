from django.db import connection
from django.views import View


class Search(View):
    def get(self, request):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM notes WHERE body LIKE '%{request.GET['q']}%'")
            return cursor.fetchall()
