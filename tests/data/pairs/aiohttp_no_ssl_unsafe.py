import aiohttp


async def fetch(path):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        async with session.get("https://api.example.org/" + path) as response:
            return await response.text()
