from lxml import etree


def parse_invoice(document):
    parser = etree.XMLParser(resolve_entities=True, load_dtd=True)
    return etree.fromstring(document, parser)
