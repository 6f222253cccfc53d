class Orders:
    def __init__(self, cursor):
        self.cursor = cursor

    def by_customer(self, customer):
        self.cursor.execute("SELECT * FROM orders WHERE customer = '%s'" % customer)
        return self.cursor.fetchall()
