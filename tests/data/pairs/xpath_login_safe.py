def find_account(tree, name):
    return tree.xpath("//account[name=$name]", name=name)
