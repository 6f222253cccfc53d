from sqlalchemy import create_engine

engine = create_engine("postgresql://shop:Gr4n1teFalls@db.internal/shop")
