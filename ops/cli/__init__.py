def main():
    print("riskd")
