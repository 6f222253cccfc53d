import tornado.escape
import tornado.web


class Page(tornado.web.RequestHandler):
    def get(self):
        title = tornado.escape.xhtml_escape(self.get_query_argument("title"))
        self.write("<title>" + title + "</title>")
